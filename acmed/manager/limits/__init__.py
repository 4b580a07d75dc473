# SPDX-License-Identifier: LGPL-2.1-or-later
"""What acmed itself keeps to at each CA: counted before it is asked, and kept from run to run."""

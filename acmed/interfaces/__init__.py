# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Varlink interface files (*.varlink), installed beside the code that loads them."""

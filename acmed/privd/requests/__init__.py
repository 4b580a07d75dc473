# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a CA is to certify: root's configuration of a certificate, its key, and its CSR."""

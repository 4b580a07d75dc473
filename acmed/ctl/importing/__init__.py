# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl import lacme: from lacme's files to acmed's. Facts about lacme are from lacme(8), lacme-accountd(1) and their
source, version 0.8.

lacmefiles and tiny read what lacme reads, as it reads it; account, signer, responder, certificate, csr and notify say
what becomes of each setting; plan makes files of that; staging loads them as acmed would; writing writes them.
"""

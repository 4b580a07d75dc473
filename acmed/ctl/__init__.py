# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl: the command. It talks to acmed over D-Bus alone; only `config check` reads the configuration itself.

main.py runs a command line, which commandline/ has read; commands/ has a file for each. client.py is org.acmed1 as
acmectl sees it, following/ follows jobs and shows them, report.py says what came of them, failure.py and advice.py what
to do then, outlook.py and trouble.py how a certificate stands and what acmed does by itself. importing/ is
`acmectl import lacme`, and audit/ what `account log` reads.
"""

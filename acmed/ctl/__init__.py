# SPDX-License-Identifier: LGPL-2.1-or-later
"""acmectl: the command. It talks to acmed over D-Bus alone; only `config check` reads the configuration itself.

main.py runs a command, parser.py has them all; the file of a command does it. client.py is org.acmed1 as acmectl sees
it, follow.py follows jobs, display.py shows them, report.py says what came of them.
"""

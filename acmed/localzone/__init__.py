# SPDX-License-Identifier: LGPL-2.1-or-later
"""Adds or removes one value in the challenge file of a local DNS zone, as the owner of its directory.

The format is acmebot's: a file for each zone, with its name, that has one JSON object. Its names are hosts, of which
"_acme-challenge.HOST" is the TXT record, and its values are what the record says. A program that makes zones of it,
such as bindtool, takes "*." off a host, so "HOST" and "*.HOST" are two values of one record. No file is no record.
"""

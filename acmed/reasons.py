# SPDX-License-Identifier: LGPL-2.1-or-later
"""Why a certificate is revoked."""

# RFC 5280 section 5.3.1, those that a subscriber may give: what else there is, is about CAs, attribute certificates
# and holds, or for the CA to find (CA/Browser Forum Baseline Requirements, section 7.2.2).
REASONS = {0: "unspecified", 1: "keyCompromise", 3: "affiliationChanged", 4: "superseded", 5: "cessationOfOperation"}
KEY_COMPROMISE = 1
# All that a CA may publish.
PUBLISHED = REASONS | {
    2: "cACompromise",
    6: "certificateHold",
    8: "removeFromCRL",
    9: "privilegeWithdrawn",
    10: "aACompromise",
}

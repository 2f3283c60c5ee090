"""Names that the whole integration shares."""

from __future__ import annotations

from typing import Final

DOMAIN: Final = "barnabeenet"

DEFAULT_PORT: Final = 10800
DEFAULT_TITLE: Final = "Barnabee"
ZEROCONF_TYPE: Final = "_barnabeenet._tcp.local."

# The types of an entry's subentries.
SUBENTRY_PERSON: Final = "person"
SUBENTRY_PROVIDER: Final = "provider"

# In an entry's data: the wish for a preferred pipeline until one is made, then what was made.
CONF_TLS: Final = "tls"
CONF_PREFERRED: Final = "preferred"
CONF_PIPELINE: Final = "pipeline"

# Sent with every finished or changed turn, of whichever entry, as VoiceContext.as_dict() gives it.
SIGNAL_TURN: Final = f"{DOMAIN}_turn"

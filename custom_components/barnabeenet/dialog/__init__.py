"""Understanding and answering; reaches Home Assistant only through the small protocols it states."""

"""Parts that several pages share: pure functions from plain records to markup."""

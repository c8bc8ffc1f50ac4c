"""The seventh room: keys lent to programs by OAuth 2.1. Authlib keeps the protocol, and is loaded with the first program."""

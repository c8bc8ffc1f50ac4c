"""The signed upload URL from outside: who may use it, what it takes, and that it never keeps what it refused."""

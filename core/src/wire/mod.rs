//! The peer wire protocol (BEP 3): bytes to messages and back.

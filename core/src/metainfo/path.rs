//! Names from a torrent, made safe by one rule for all systems.

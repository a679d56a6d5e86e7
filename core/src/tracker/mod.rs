//! What is said to HTTP trackers, and what they answer (BEP 3, 7, 12, 23).

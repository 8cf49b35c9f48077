//! The answering loop: guard events in; incidents, containment and deliveries out.

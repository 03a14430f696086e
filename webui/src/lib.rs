//! The web page, built to static files and embedded.

//! Errors as one line.

/// An error with its causes, separated by colons.
#[must_use]
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the log")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_follow_their_effects() {
        assert_eq!(
            describe(&Outer(io::Error::other("disk is full"))),
            "cannot open the log: disk is full"
        );
    }
}

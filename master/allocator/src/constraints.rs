//! Offer constraints: which agents a framework wants to see at all, by attributes, host name, region and zone.

/// Checked and compiled offer constraints of a framework.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OfferConstraints {}

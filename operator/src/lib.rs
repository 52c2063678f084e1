//! vmcatcher-operator keeps a site's virtual machine images equal to what trusted endorsers publish.
//!
//! The map, from the top down; a module may use those below it and never those above:
//!
//! * [`imagelist`]: the `HEPiX` image list document: model, parse, validate, select (pure)
//! * [`api`]: the custom resources: types, conditions, columns

pub mod api;
pub mod imagelist;

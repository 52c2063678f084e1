//! Who signed, and may the list replace the last: real lists, every form, every defect.

mod names;
mod real_lists;

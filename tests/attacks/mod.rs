//! Attacks, one module each: what somebody does, and that nothing comes of it.

mod accepted_list_again;
mod adopted_subkey;
mod ambiguous_name;
mod another_ones_credential;
mod anothers_image_adopted;
mod deleted_state;
mod disk_of_another_file;
mod disk_of_another_format;
mod forged_crl;
mod half_open_connections;
mod hostile_words;
mod link_on_the_volume;
mod look_alike_certificate;
mod many_large_lists;
mod old_list_again;
mod old_list_on_an_empty_volume;
mod openpgp_claimed_key;
mod openpgp_text_beside;
mod revoked_intermediate;
mod revoked_signer_stays;
mod stripped_signature;
mod text_outside_the_signature;
mod weak_digest;
mod weak_key;

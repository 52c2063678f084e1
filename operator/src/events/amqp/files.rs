//! Files of a mounted Secret, read at each connection.

use std::path::Path;

use crate::events::input_file::{self, without_line_end};
use crate::events::settings::FileCredentials;
use crate::events::sink::SinkError;
use crate::text::one_line;

/// The most bytes of a file.
const LARGEST_FILE: u64 = 1 << 20;

/// A user name and a password.
pub(super) struct Credentials {
    pub(super) username: String,
    pub(super) password: String,
}

/// Reads the user name and the password; `guest` for both if there are no files.
pub(super) async fn credentials(files: Option<&FileCredentials>) -> Result<Credentials, SinkError> {
    let Some(files) = files else {
        return Ok(Credentials { username: "guest".to_owned(), password: "guest".to_owned() });
    };
    Ok(Credentials { username: line(&files.username).await?, password: line(&files.password).await? })
}

/// The text of a file without one line end at its end.
async fn line(path: &Path) -> Result<String, SinkError> {
    let bytes = bytes(path).await?;
    let text = std::str::from_utf8(without_line_end(&bytes)).map_err(|_| unusable(path, "it is not UTF-8"))?;
    Ok(text.to_owned())
}

/// The bytes of a file, at most 1 MiB.
pub(super) async fn bytes(path: &Path) -> Result<Vec<u8>, SinkError> {
    let file = path.to_owned();
    let read = tokio::task::spawn_blocking(move || input_file::read(&file, LARGEST_FILE)).await;
    read.unwrap_or_else(|error| Err(unusable(path, &error.to_string())))
}

/// What is wrong with a file. The words never contain what is in it.
pub(super) fn unusable(path: &Path, found: &str) -> SinkError {
    SinkError::File { step: "use", path: path.to_owned(), found: one_line(found.as_bytes(), 200) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_end_at_the_end_is_no_part_of_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (number, (text, read)) in
            [("pass", "pass"), ("pass\n", "pass"), ("pass\r\n", "pass"), (" p s \n\n", " p s \n"), ("", "")]
                .into_iter()
                .enumerate()
        {
            let [username, password] = [path(&format!("user-{number}")), path(&format!("password-{number}"))];
            std::fs::write(&username, "me\n").unwrap();
            std::fs::write(&password, text).unwrap();
            let found = credentials(Some(&FileCredentials { username, password })).await.unwrap();
            assert_eq!((found.username.as_str(), found.password.as_str()), ("me", read), "{text:?}");
        }
        assert_eq!(credentials(None).await.unwrap().username, "guest");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_named_and_its_text_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("binary"), b"secret\xff").unwrap();
        std::fs::write(path("long"), vec![b's'; (1 << 20) + 1]).unwrap();
        for (name, found) in [("missing", "No such file"), ("binary", "not UTF-8"), ("long", "at most 1048576 bytes")] {
            let error = line(&path(name)).await.unwrap_err();
            let text = error.to_string();
            assert!(text.contains(found) && text.contains(name) && !text.contains("secret"), "{text}");
            assert_eq!(error.reason(), "FileUnusable");
        }
    }
}

//! The methods, by the names that openstacksdk uses in `clouds.yaml`. Pure.

use secrecy::{ExposeSecret as _, SecretString};

use super::error::CredentialsError;
use super::model::{Credentials, Domain, Project, User};

const ID: &str = "application_credential_id";
const NAME: &str = "application_credential_name";
const SECRET: &str = "application_credential_secret";
const PASSWORD: &str = "password";
const USERNAME: &str = "username";
const USER_ID: &str = "user_id";
const USER_DOMAIN_ID: &str = "user_domain_id";
const USER_DOMAIN_NAME: &str = "user_domain_name";
const PROJECT_ID: &str = "project_id";
const PROJECT_NAME: &str = "project_name";
const PROJECT_DOMAIN_ID: &str = "project_domain_id";
const PROJECT_DOMAIN_NAME: &str = "project_domain_name";

/// The names of all entries.
pub(super) const NAMES: [&str; 12] = [
    ID,
    NAME,
    SECRET,
    PASSWORD,
    USERNAME,
    USER_ID,
    USER_DOMAIN_ID,
    USER_DOMAIN_NAME,
    PROJECT_ID,
    PROJECT_NAME,
    PROJECT_DOMAIN_ID,
    PROJECT_DOMAIN_NAME,
];

/// A value, or the kind of what is there instead of a text.
pub(super) type Field = Option<Result<SecretString, &'static str>>;

/// The fields of a method, in a Secret or in `clouds.yaml`.
pub(super) struct Fields<'a> {
    /// Where they are, for messages.
    pub(super) place: String,
    /// The names that are there.
    pub(super) names: Vec<String>,
    /// The value of a field.
    pub(super) value: Box<dyn Fn(&str) -> Field + 'a>,
}

impl<'a> Fields<'a> {
    /// The entries of a Secret. A line end after a value is not part of it.
    pub(super) fn of_secret(entry: &'a impl Fn(&str) -> Option<SecretString>, names: &[String]) -> Self {
        let value = move |name: &str| {
            let entry = entry(name)?;
            Some(Ok(entry.expose_secret().trim_end_matches(['\r', '\n']).to_owned().into()))
        };
        Self { place: "the Secret".to_owned(), names: names.to_vec(), value: Box::new(value) }
    }

    fn secret(&self, name: &'static str) -> Result<Option<SecretString>, CredentialsError> {
        let refuse = |found: &str| CredentialsError::Value {
            place: self.place.clone(),
            name: name.to_owned(),
            expected: "a text",
            found: found.to_owned(),
        };
        match (self.value)(name) {
            None => Ok(None),
            Some(Ok(value)) if value.expose_secret().is_empty() => Err(refuse("an empty one")),
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(kind)) => Err(refuse(kind)),
        }
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, CredentialsError> {
        Ok(self.secret(name)?.map(|value| value.expose_secret().to_owned()))
    }

    fn missing(&self, expected: &'static str, beside: &'static str) -> CredentialsError {
        CredentialsError::Missing { place: self.place.clone(), expected, beside, found: self.names.clone() }
    }

    fn exclude(&self, one: &'static str, others: &[&'static str], why: &'static str) -> Result<(), CredentialsError> {
        let found = others.iter().find(|name| (self.value)(name).is_some());
        let contradiction =
            |other: &&'static str| CredentialsError::Contradiction { place: self.place.clone(), one, other, why };
        found.map(contradiction).map_or(Ok(()), Err)
    }
}

/// Reads the credentials of the method whose fields are there.
pub(super) fn read(fields: &Fields<'_>) -> Result<Credentials, CredentialsError> {
    let there = |name: &str| (fields.value)(name).is_some();
    if let Some(name) = [ID, NAME, SECRET].into_iter().find(|name| there(name)) {
        let own = [PROJECT_ID, PROJECT_NAME, PROJECT_DOMAIN_ID, PROJECT_DOMAIN_NAME];
        fields.exclude(name, &[PASSWORD], "they are of two methods")?;
        fields.exclude(name, &own, "an application credential has a project of its own, and takes no other")?;
        return application_credential(fields);
    }
    if let Some(beside) = [USERNAME, USER_ID].into_iter().find(|name| there(name)) {
        let password = fields.secret(PASSWORD)?.ok_or_else(|| fields.missing(PASSWORD, beside))?;
        return Ok(Credentials::Password { user: user(fields, PASSWORD)?, password, project: project(fields)? });
    }
    if there(PASSWORD) {
        return Err(fields.missing("username or user_id", PASSWORD));
    }
    Err(CredentialsError::NoMethod { place: fields.place.clone(), found: fields.names.clone() })
}

fn application_credential(fields: &Fields<'_>) -> Result<Credentials, CredentialsError> {
    let (id, name, secret) = (fields.text(ID)?, fields.text(NAME)?, fields.secret(SECRET)?);
    match (id, name, secret) {
        (Some(id), _, Some(secret)) => Ok(Credentials::ApplicationCredentialId { id, secret }),
        (None, Some(name), Some(secret)) => {
            Ok(Credentials::ApplicationCredentialName { name, user: user(fields, NAME)?, secret })
        }
        (Some(_), _, None) => Err(fields.missing(SECRET, ID)),
        (None, Some(_), None) => Err(fields.missing(SECRET, NAME)),
        (None, None, _) => Err(fields.missing("application_credential_id or application_credential_name", SECRET)),
    }
}

/// An id is enough, and precedes a name: `clouds.yaml` files from a dashboard have both.
fn user(fields: &Fields<'_>, beside: &'static str) -> Result<User, CredentialsError> {
    if let Some(id) = fields.text(USER_ID)? {
        return Ok(User::Id(id));
    }
    let name = fields.text(USERNAME)?.ok_or_else(|| fields.missing("username or user_id", beside))?;
    let domain = domain(fields, USER_DOMAIN_ID, USER_DOMAIN_NAME)?;
    let domain = domain.ok_or_else(|| fields.missing("user_domain_name or user_domain_id", USERNAME))?;
    Ok(User::Name { name, domain })
}

fn project(fields: &Fields<'_>) -> Result<Project, CredentialsError> {
    if let Some(id) = fields.text(PROJECT_ID)? {
        return Ok(Project::Id(id));
    }
    let name = fields.text(PROJECT_NAME)?.ok_or_else(|| fields.missing("project_id or project_name", PASSWORD))?;
    let domain = domain(fields, PROJECT_DOMAIN_ID, PROJECT_DOMAIN_NAME)?;
    let domain = domain.ok_or_else(|| fields.missing("project_domain_name or project_domain_id", PROJECT_NAME))?;
    Ok(Project::Name { name, domain })
}

fn domain(fields: &Fields<'_>, id: &'static str, name: &'static str) -> Result<Option<Domain>, CredentialsError> {
    Ok(match fields.text(id)? {
        Some(id) => Some(Domain::Id(id)),
        None => fields.text(name)?.map(Domain::Name),
    })
}

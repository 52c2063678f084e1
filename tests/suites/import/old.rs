//! What vmcatcher left on a machine: its database, with the tables of one of its ages, and its cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::pki::Identity;
use harness::site::{LIST, Served, Site};
use rusqlite::{Connection, params};

/// The ages of the schema, the newest last.
pub(crate) const AGES: [&str; 5] =
    ["before-0.1.0", "0.1.0-to-0.1.19", "0.1.20-to-0.3.8", "0.4.0-to-0.4.3", "0.5.0-to-0.6.3"];

/// A database that is being made.
pub(crate) struct Old {
    pub(crate) path: PathBuf,
    age: usize,
    pub(crate) connection: Connection,
}

/// A subscription as the original stores it.
#[derive(Clone)]
pub(crate) struct Row<'a> {
    pub(crate) id: i64,
    pub(crate) identifier: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) update_mode: i64,
}

impl<'a> Row<'a> {
    pub(crate) fn new(id: i64, identifier: &'a str, uri: &'a str) -> Self {
        Self { id, identifier, uri, user: "", password: "", update_mode: 0 }
    }
}

impl Old {
    /// A database without rows.
    pub(crate) fn new(folder: &Path, age: &str) -> Self {
        let path = folder.join("vmcatcher.db");
        let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/vmcatcher").join(format!("{age}.sql"));
        let connection = Connection::open(&path).unwrap();
        // The original's SQLite does not enforce them.
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection.execute_batch(&fs::read_to_string(tables).unwrap()).unwrap();
        let age = AGES.iter().position(|known| *known == age).unwrap();
        Self { path, age, connection }
    }

    /// The name of a table in this age.
    fn table(&self, newest: &'static str) -> &'static str {
        match (self.age, newest) {
            (0, "endorserPrincible") => "endorser_princible",
            (0, "subscriptionAuth") => "subscription_auth",
            (_, newest) => newest,
        }
    }

    /// `vmcatcher_endorser --create`.
    pub(crate) fn endorser(&self, id: i64, identifier: &str, credentials: &[&Identity]) {
        self.connection.execute("INSERT INTO endorser (id, identifier) VALUES (?1, ?2)", (id, identifier)).unwrap();
        let table = self.table("endorserPrincible");
        for identity in credentials {
            let insert = format!("INSERT INTO \"{table}\" (hv_dn, hv_ca, endorser) VALUES (?1, ?2, ?3)");
            self.connection.execute(&insert, (identity.subject(), identity.issuer(), id)).unwrap();
        }
    }

    /// `vmcatcher_subscribe -s`, with the link to an endorser.
    pub(crate) fn subscription(&self, row: &Row<'_>, endorser: i64) {
        let (identifier, uri) = if self.age == 0 { ("uuid", "url") } else { ("identifier", "uri") };
        let mut insert = format!(
            "INSERT INTO subscription (id, {identifier}, {uri}, description, authorised, imagelist_latest, updated) \
             VALUES ({}, '{}', '{}', 'Images of the VO', 1, {}, '2014-01-25 22:20:29.859405')",
            row.id, row.identifier, row.uri, row.id
        );
        if self.age >= 3 {
            let more = format!(", '{}', '{}', 0)", row.user, row.password);
            insert = insert.replace("updated)", "updated, \"userName\", password, \"trustAnchor\")");
            insert = format!("{}{more}", insert.strip_suffix(')').unwrap());
        }
        if self.age >= 4 {
            insert = insert.replace("\"trustAnchor\")", "\"trustAnchor\", \"updateMode\")");
            insert = format!("{}, {})", insert.strip_suffix(')').unwrap(), row.update_mode);
        }
        self.connection.execute(&insert, []).unwrap();
        let link = format!(
            "INSERT INTO \"{}\" (subscription, endorser, authorised) VALUES (?1, ?2, 1)",
            self.table("subscriptionAuth")
        );
        self.connection.execute(&link, (row.id, endorser)).unwrap();
        self.message(row, "2499-12-31 22:00:00.000000");
    }

    /// `vmcatcher_subscribe -U`: the list of a subscription.
    fn message(&self, row: &Row<'_>, expires: &str) {
        let now = "2014-01-25 22:20:29.000000";
        let insert = match self.age {
            0 => format!(
                "INSERT INTO imagelist (id, identifier, url, data, data_hash, sub_auth, imported, created, expires, \
                 authorised) VALUES ({}, '{}', '{}', 'm', 'h', 1, '{now}', '{now}', '{expires}', 1)",
                row.id, row.identifier, row.uri
            ),
            1 => format!(
                "INSERT INTO \"imageListInstance\" (id, data, data_hash, sub_auth, imported, created, expires) VALUES \
                 ({}, 'm', 'h', 1, '{now}', '{now}', '{expires}')",
                row.id
            ),
            _ => format!(
                "INSERT INTO \"imageListInstance\" (id, data, data_hash, sub_auth, imported, created, expires, version) \
                 VALUES ({}, x'6d', 'h', 1, '{now}', '{now}', '{expires}', '1.0')",
                row.id
            ),
        };
        self.connection.execute(&insert, []).unwrap();
    }

    /// An image of a subscription's latest list; `cached`: `vmcatcher_image -a`.
    pub(crate) fn image(&self, id: i64, subscription: i64, image: &Served, cached: bool) {
        let columns = "id, description, hypervisor, sha512, uri, os, osversion, arch, version, size, title";
        let size = i64::try_from(image.size).unwrap();
        let values = params![id, image.sha512, image.uri, image.version, size, subscription, image.identifier];
        let insert = if self.age == 0 {
            format!(
                "INSERT INTO image ({columns}, imagelist, identifier) VALUES (?1, 'd', 'kvm', ?2, ?3, 'Linux', '1', \
                 'x86_64', ?4, ?5, 't', ?6, ?7)"
            )
        } else {
            let insert = "INSERT INTO \"ImageDefinition\" (id, identifier, latest, cache, subscription) VALUES (?1, ?2, \
                          ?1, ?3, ?4)";
            self.connection.execute(insert, (id, &image.identifier, cached, subscription)).unwrap();
            format!(
                "INSERT INTO \"ImageInstance\" ({columns}, fkimagelistinstance, \"fkIdentifier\") VALUES (?1, 'd', 'kvm', \
                 ?2, ?3, 'Linux', '1', 'x86_64', ?4, ?5, 't', ?6, (SELECT id FROM \"ImageDefinition\" WHERE identifier = \
                 ?7))"
            )
        };
        self.connection.execute(&insert, values).unwrap();
    }
}

/// A machine on which vmcatcher followed the site's list: two images, of which it cached the first.
pub(crate) struct Machine {
    pub(crate) site: Site,
    pub(crate) images: [Served; 2],
    pub(crate) old: Old,
}

pub(crate) const ONE: &str = "858a817e-0ca2-473f-89d3-d5bdfc51968e";
pub(crate) const TWO: &str = "327016b0-6508-41d2-bce0-c1724cb3d3e2";

impl Machine {
    pub(crate) fn new(age: &str) -> Self {
        let site = Site::new();
        site.forget("endorser-endorser");
        site.forget("subscription-vo");
        let images = [site.serve(ONE, "1.26-13", 1, 70_000), site.serve(TWO, "2.0", 2, 50_000)];
        site.publish(&site.list("1.0", &[&images[0], &images[1]]));
        let old = Old::new(&site.path(""), age);
        old.endorser(1, "Predrag Buncic", &[&site.pki.endorser]);
        old.subscription(&Row::new(1, LIST, &site.server.url("/image.list")), 1);
        old.image(1, 1, &images[0], true);
        old.image(2, 1, &images[1], false);
        fs::create_dir_all(site.path("cache/partial")).unwrap();
        fs::create_dir_all(site.path("cache/expired")).unwrap();
        let machine = Self { site, images, old };
        machine.cache(&format!("cache/{ONE}"), 1, 70_000);
        machine
    }

    /// Puts the bytes of a seed into the cache, as the original names its files.
    pub(crate) fn cache(&self, path: &str, seed: u64, size: u64) {
        fs::write(self.site.path(path), harness::image_server::Body::Pattern { seed, size }.to_vec()).unwrap();
    }

    /// Runs `import vmcatcher` into the site's manifests and volume.
    pub(crate) fn import(&self, more: &[&str]) -> Ran {
        let path = |name: &str| self.site.path(name).display().to_string();
        let (database, manifests) = (self.old.path.display().to_string(), path("manifests"));
        operator(&[&["import", "vmcatcher", &database, "--output", &manifests], more].concat())
    }

    /// The same, with the images of its cache.
    pub(crate) fn import_with_images(&self) -> Ran {
        let path = |name: &str| self.site.path(name).display().to_string();
        let (cache, expired, volume) = (path("cache"), path("cache/expired"), path("volume"));
        self.import(&["--cache", &cache, "--cache", &expired, "--volume", &volume])
    }
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) shown: String,
    pub(crate) told: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), shown: text(output.stdout), told: text(output.stderr) }
    }
}

/// Runs the program as it was just built, without vmcatcher's variables.
pub(crate) fn operator(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_operator"));
    command.env_remove("VMCATCHER_RDBMS").env_remove("VMCATCHER_CACHE_EVENT");
    command.args(arguments).output().unwrap().into()
}

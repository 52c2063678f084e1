//! Who signs the lists of the examples: certificates with the very names that the examples believe.

use std::path::Path;
use std::sync::LazyLock;

use harness::image_server::Resource;
use harness::pki::{CertificateSpec, Identity, Usage};
use harness::site::{Served, Site};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The endorser of the examples: a host certificate, so that only `purpose: Any` takes it.
pub(super) static HOST_2026: LazyLock<Identity> = LazyLock::new(|| {
    let subject = "/DC=EU/DC=EGI/C=NL/O=Hosts/O=EGI.eu/CN=appdb.egi.eu";
    AUTHORITIES[0].issue(&CertificateSpec::person(subject, Timestamp::now()).usages(&[Usage::ServerAuth]))
});

/// The same after its renewal, when its new authority lets it sign mail too.
pub(super) static HOST_2027: LazyLock<Identity> = LazyLock::new(|| {
    let subject = "/DC=org/DC=terena/DC=tcs/C=NL/O=Stichting EGI/CN=appdb.egi.eu";
    let usages = [Usage::ServerAuth, Usage::EmailProtection];
    AUTHORITIES[1].issue(&CertificateSpec::person(subject, Timestamp::now()).usages(&usages))
});

static AUTHORITIES: LazyLock<[Identity; 2]> = LazyLock::new(|| {
    let names = ["/DC=ORG/DC=SEE-GRID/CN=SEE-GRID CA 2013", "/C=NL/O=GEANT Vereniging/CN=GEANT eScience SSL CA 4"];
    names.map(|name| CertificateSpec::authority(name, Timestamp::now()).build(None))
});

/// Writes both authorities and their CRLs.
pub(super) fn write_trust_directory(folder: &Path) {
    for authority in &*AUTHORITIES {
        let hash = format!("{:08x}", authority.certificate.subject_name_hash());
        std::fs::write(folder.join(format!("{hash}.0")), authority.certificate.to_pem().unwrap()).unwrap();
        std::fs::write(folder.join(format!("{hash}.r0")), authority.crl(Timestamp::now()).pem()).unwrap();
    }
}

/// Puts a small image on the server.
pub(super) fn serve(site: &Site, identifier: &str, version: &str) -> Served {
    let content = harness::disk_image::qcow2(1 << 30, format!("{identifier} {version}").as_bytes());
    site.serve_as(identifier, version, Resource::bytes(content).etag(&format!("{version:?}")))
}

/// An image as a list says it, with what is different about it.
pub(super) fn entry(served: &Served, different: &Value) -> Value {
    let mut image = json!({
        "dc:title": format!("Image {}", served.identifier),
        "dc:description": "An image for tests",
        "dc:identifier": served.identifier,
        "hv:size": served.size,
        "hv:uri": served.uri,
        "hv:version": served.version,
        "hv:hypervisor": "kvm",
        "hv:format": "qcow2",
        "sl:checksum:sha512": served.sha512,
        "sl:arch": "x86_64",
        "sl:os": "Linux",
        "sl:osversion": "AlmaLinux 9",
        "sl:comments": "",
    });
    image.as_object_mut().unwrap().extend(different.as_object().unwrap().clone());
    json!({"hv:image": image})
}

# Sourced by bash: a publisher of signed lists of disk images, and a site's manifests. examples/quickstart/run uses it, and
# the test of the Debian package. The caller sets `work`, a folder with ca, signer, trust, site and publisher in it, and has
# the programs vmcatcher-operator and quickstart in PATH, and a function `fail MESSAGE`.
# shellcheck shell=bash disable=SC2034,SC2154 # what the caller sets and uses

# --- a web server, which counts what it sends -----------------------------------------------------------------------

# serve: starts it, and sets server_pid and address.
serve() {
    coproc SERVER { quickstart serve; }
    # shellcheck disable=SC2153 # bash sets SERVER_PID with the coprocess
    server_pid=$SERVER_PID
    read -r address <&"${SERVER[0]}"
}
ask() { echo "$*" >&"${SERVER[1]}"; local answer; read -r answer <&"${SERVER[0]}"; echo "$answer"; }
publish() { ask put "$1" "$2" >/dev/null; }

# --- a certificate authority, an endorser, a stranger ---------------------------------------------------------------

make_authority() {
    cat >"$work/ca/config" <<'END'
[ca]
default_ca = quickstart
[quickstart]
database = index.txt
crlnumber = crlnumber
default_md = sha256
default_crl_days = 30
END
    : >"$work/ca/index.txt"
    echo 01 >"$work/ca/crlnumber"
    (
        cd "$work/ca" &&
            openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out ca.pem -days 30 \
                -subj "/DC=org/DC=example/CN=Quickstart CA" -addext keyUsage=critical,keyCertSign,cRLSign &&
            openssl ca -gencrl -config config -keyfile key.pem -cert ca.pem -out crl.pem &&
            hash=$(openssl x509 -in ca.pem -noout -hash) &&
            cp ca.pem "../trust/$hash.0" &&
            cp crl.pem "../trust/$hash.r0"
    ) >"$work/ca/log" 2>&1 || fail "openssl could not make a certificate authority: $(tail -n 3 "$work/ca/log")"
}

# make_signer NAME: a key and a certificate for signing mail, from that authority.
make_signer() {
    printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\n' >"$work/signer/extensions"
    (
        cd "$work/signer" &&
            openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/DC=org/DC=example/CN=$1" &&
            openssl x509 -req -in "$1.csr" -CA ../ca/ca.pem -CAkey ../ca/key.pem -CAcreateserial -days 30 \
                -extfile extensions -out "$1.pem"
    ) >"$work/signer/log" 2>&1 || fail "openssl could not make a certificate: $(tail -n 3 "$work/signer/log")"
}

# --- lists ----------------------------------------------------------------------------------------------------------

ago() { date -u -d "$1 ago" +%FT%TZ; }
ahead() { date -u -d "$1" +%FT%TZ; }

# image IDENTIFIER VERSION FILE TITLE: one image of a list.
image() {
    cat <<END
{"hv:image": {"dc:identifier": "$1", "hv:version": "$2", "dc:title": "$4", "dc:description": "",
  "hv:uri": "$address/$3", "hv:size": $(stat -c %s "$work/publisher/$3"), "hv:format": "${3##*.}",
  "sl:checksum:sha512": "$(sha512sum "$work/publisher/$3" | cut -d' ' -f1)",
  "hv:hypervisor": "KVM", "sl:os": "Linux", "sl:osversion": "${4##* }", "sl:arch": "x86_64", "sl:comments": ""}}
END
}

# list SIGNER VERSION CREATED EXPIRES IMAGE...: the text of a list, to publisher/list.json
list() {
    local signer=$1 version=$2 created=$3 expires=$4
    shift 4
    local IFS=,
    local images="$*"
    cat >"$work/publisher/list.json" <<END
{"hv:imagelist": {"dc:identifier": "63175437-7d59-4851-b333-c96cb6545a86", "hv:version": "$version",
  "dc:title": "Quickstart images", "dc:description": "", "dc:source": "examples/quickstart",
  "dc:date:created": "$created", "dc:date:expires": "$expires", "hv:uri": "$address/image.list",
  "hv:endorser": {"hv:x509": {"hv:dn": "/DC=org/DC=example/CN=$signer", "hv:ca": "/DC=org/DC=example/CN=Quickstart CA",
    "hv:email": "images@example.org", "dc:creator": "$signer"}},
  "hv:images": [$images]}}
END
}

# sign SIGNER FILE
sign() {
    vmcatcher-operator --quiet list sign "$work/publisher/list.json" --output "$work/publisher/$2" \
        --cert "$work/signer/$1.pem" --key "$work/signer/$1.key"
}

# --- the first list -------------------------------------------------------------------------------------------------

alma=858a817e-0ca2-473f-89d3-d5bdfc51968e
debian=c0482bc2-bf41-5d49-a85f-a750174a186b
rescue=488dcdc4-9ab1-4fc8-a7ba-b7a5428ecb3d

# first_list: three disk images and a list of them, all served.
first_list() {
    quickstart disk qcow2 "$work/publisher/alma-9.4.qcow2" 6 1
    quickstart disk qcow2 "$work/publisher/debian-12.qcow2" 4 2
    quickstart disk raw "$work/publisher/rescue-1.raw" 3 3
    for file in alma-9.4.qcow2 debian-12.qcow2 rescue-1.raw; do publish "/$file" "$work/publisher/$file"; done

    list Endorser 1.0 "$(ago '60 minutes')" "$(ahead '4 weeks')" \
        "$(image $alma 9.4 alma-9.4.qcow2 'AlmaLinux 9.4')" \
        "$(image $debian 12 debian-12.qcow2 'Debian 12')" \
        "$(image $rescue 1 rescue-1.raw 'Rescue system 1')"
    sign Endorser list-1.0
    publish /image.list "$work/publisher/list-1.0"
}

# manifests FOLDER: a site that follows the list, and publishes in a cloud that reads FOLDER, the volume as the cloud sees it.
manifests() {
    cat <<END
apiVersion: vmcatcher.io/v1alpha1
kind: Endorser
metadata: {name: quickstart}
spec:
  credentials:
    - name: first
      x509: {subject: /DC=org/DC=example/CN=Endorser, issuer: /DC=org/DC=example/CN=Quickstart CA}
---
apiVersion: vmcatcher.io/v1alpha1
kind: ImageListSubscription
metadata: {name: quickstart}
spec:
  source: {url: $address/image.list}
  verify: {endorserRefs: [{name: quickstart}]}
  images: {include: {match: [{name: all}]}}
  targetRefs: [{name: cloud}]
---
apiVersion: vmcatcher.io/v1alpha1
kind: CloudTarget
metadata: {name: cloud}
spec:
  type: OpenNebula
  openNebula:
    endpoint: $(ask cloud "$1")
    secretRef: {name: one-auth}
    datastore: default
    handOver: {type: Path, path: {prefix: $1}}
---
apiVersion: v1
kind: Secret
metadata: {name: one-auth}
stringData: {one_auth: "oneadmin:opennebula-test"}
END
}

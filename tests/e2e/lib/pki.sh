# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Keys, certificates and kubeconfigs of the test cluster, all below STATE/pki. Sourced after scripts/lib.sh and layout.sh.

PKI=$STATE/pki
CERTIFICATE_DAYS=30

pki_make() {
    local node
    umask 077
    mkdir -p "$PKI"
    openssl_quietly req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days "$CERTIFICATE_DAYS" \
        -subj /CN=stowage-e2e-ca -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$PKI/ca.key" -out "$PKI/ca.crt"
    openssl_quietly genpkey -algorithm ec -pkeyopt ec_paramgen_curve:prime256v1 -out "$PKI/service-account.key"
    openssl_quietly pkey -in "$PKI/service-account.key" -pubout -out "$PKI/service-account.pub"
    certificate apiserver /CN=kube-apiserver serverAuth "IP:$CONTROL_IP,IP:$API_SERVICE_IP,IP:127.0.0.1,DNS:localhost,$(
    )DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
    client kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
    client controller-manager /CN=system:kube-controller-manager
    client scheduler /CN=system:kube-scheduler
    client kube-proxy /CN=system:kube-proxy
    client admin /O=system:masters/CN=kubernetes-admin
    install -m 600 "$PKI/admin.conf" "$KUBECONFIG_ADMIN"
    for node in "${NODES[@]}"; do
        client "$node" "/O=system:nodes/CN=system:node:$node"
        certificate "$node-serving" "/O=system:nodes/CN=system:node:$node" serverAuth "IP:$(node_ip "$node"),DNS:$node"
    done
    umask 022
}

openssl_quietly() {
    local output
    output=$(openssl "$@" 2>&1) || die "openssl $1 failed: $output"
}

# certificate NAME SUBJECT USAGE [SUBJECT_ALT_NAMES]
certificate() {
    local name=$1 subject=$2 usage=$3 names=${4:-}
    openssl_quietly req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$subject" \
        -keyout "$PKI/$name.key" -out "$PKI/$name.csr"
    {
        say "basicConstraints=CA:FALSE"
        say "keyUsage=critical,digitalSignature"
        say "extendedKeyUsage=$usage"
        [ -z "$names" ] || say "subjectAltName=$names"
    } >"$PKI/$name.ext"
    openssl_quietly x509 -req -in "$PKI/$name.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial \
        -days "$CERTIFICATE_DAYS" -extfile "$PKI/$name.ext" -out "$PKI/$name.crt"
    rm -f "$PKI/$name.csr" "$PKI/$name.ext"
}

# client NAME SUBJECT: a certificate and a kubeconfig that holds it
client() {
    certificate "$1" "$2" clientAuth
    cat >"$PKI/$1.conf" <<YAML
apiVersion: v1
kind: Config
current-context: stowage-e2e
contexts:
- {name: stowage-e2e, context: {cluster: stowage-e2e, user: $1}}
clusters:
- name: stowage-e2e
  cluster:
    server: https://$CONTROL_IP:6443
    certificate-authority-data: $(base64 -w 0 "$PKI/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w 0 "$PKI/$1.crt")
    client-key-data: $(base64 -w 0 "$PKI/$1.key")
YAML
}

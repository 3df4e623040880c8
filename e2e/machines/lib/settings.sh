# Where things are, addresses and timeouts. Read by every script; all of it can be set from the environment.

# Debian's releases that images are made of; each brings its own version of Postgres (15, 17). Binaries are put on the
# first, whose C library is the oldest.
debian_suites=${HOWDAH_E2E_SUITES:-bookworm trixie}

# The one directory that holds everything: programs, build cache, images and the running cluster.
state=$(realpath --canonicalize-missing "${HOWDAH_E2E_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/howdah-e2e}")
export HOWDAH_E2E_DIR=$state  # the machines' own scripts read this file too
bin=$state/bin
images=$state/images         # one directory per release of Debian, and what all share
running=$state/cluster        # the cluster that is up; `down` removes it
machines=$running/machines    # one directory per machine: cp (the control plane), k8s-1, k8s-2, ...
pki=$running/pki
kubeconfig=$running/kubeconfig

# One LAN; the control plane, the k8s nodes and the host each have a port on its switch.
lan=10.200.0
host_address=$lan.254
cp_address=$lan.1             # k8s node i is $lan.(10+i)
pod_network=10.244            # the pods of k8s node i are in $pod_network.i.0/24
service_network=10.96.0.0/16
api_service=10.96.0.1
api_url=https://$cp_address:6443

# Much shorter than Kubernetes' own (given in brackets), so that a test of a dead k8s node takes half a minute.
node_status_period=${HOWDAH_E2E_NODE_STATUS_PERIOD:-2s}       # kubelet's nodeStatusUpdateFrequency (10s)
node_lease_seconds=${HOWDAH_E2E_NODE_LEASE_SECONDS:-8}        # nodeLeaseDurationSeconds, renewed every quarter (40)
node_grace_period=${HOWDAH_E2E_NODE_GRACE_PERIOD:-16s}        # silence until NotReady (50s)
node_monitor_period=${HOWDAH_E2E_NODE_MONITOR_PERIOD:-2s}     # how often the controller looks (5s)
eviction_seconds=${HOWDAH_E2E_EVICTION_SECONDS:-10}           # default toleration of NotReady and unreachable (300)

image_domain=howdah.test      # images are called howdah.test/NAME:TAG

say() { printf '%s\n' "$*" >&2; }
die() { say "cluster: $*"; exit 1; }

kubectl() { "$bin/kubectl" --kubeconfig "$kubeconfig" "$@"; }

# The time as the API writes it.
now() { date -u +%Y-%m-%dT%H:%M:%S; }

# until_true SECONDS WHAT COMMAND...: runs COMMAND until it succeeds; dies when the time is over.
until_true() {
    local deadline=$((SECONDS + $1)) what=$2; shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || die "gave up waiting for $what"
        sleep 0.2
    done
}

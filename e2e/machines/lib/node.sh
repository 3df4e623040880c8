# k8s nodes: k8s-1, k8s-2, ... The control plane's machine is not one of them.

node_names() { for ((i = 1; i <= $(cat "$running/k8s-nodes"); i++)); do echo "k8s-$i"; done; }

check_node() { [[ -d $machines/$1 && $1 == k8s-* ]] || die "no such k8s node: $1 (there are: $(node_names | paste -sd' '))"; }

power_on_node() {
    local name=$1 index=${1#k8s-} count
    is_on "$name" && return
    count=$(cat "$running/k8s-nodes")
    make_cgroups "howdah-$name"
    mkdir -p "$machines/$name/disk/lib"
    plant_seed "$machines/$name/disk/lib/containerd"
    start_machine "$name" k8s-node "$lan.$((10 + index))"
    route_pods "$count" "$(pid_of "$name")" "$index"
    nsenter --target "$(pid_of "$name")" --net -- ip route replace default via "$cp_address"
}

power_off_node() {
    stop_machine "$1"
    remove_cgroups "howdah-$1"
}

check_cgroups() {
    [[ -d /sys/fs/cgroup/memory ]] || die "this needs cgroup v1 (a directory per controller in /sys/fs/cgroup); use kind on this machine"
}

# cgroup v1: the kubelet makes its own below these, and a cpuset must be filled before it can hold a process.
make_cgroups() {
    local controller file
    for controller in /sys/fs/cgroup/*/; do mkdir -p "$controller$1"; done
    for file in cpuset.cpus cpuset.mems; do
        cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$1/$file"
    done
}

# A cgroup is busy for a moment after its last process was killed.
remove_cgroups() {
    local controller
    for controller in /sys/fs/cgroup/*/; do
        [[ ! -d $controller$1 ]] || until_true 10 "the end of cgroup $controller$1" remove_cgroup "$controller$1"
    done
}

remove_cgroup() {
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
    [[ ! -d $1 ]]
}

# is_ready NAME SINCE: Ready, and the kubelet has renewed its lease after SINCE (a node that was switched off a
# moment ago still counts as Ready).
is_ready() {
    local name=$1 since=$2 renewed ready
    renewed=$(kubectl -n kube-node-lease get lease "$name" -o 'jsonpath={.spec.renewTime}') || return
    ready=$(kubectl get node "$name" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') || return
    [[ $renewed > $since && $ready == True ]]
}

# has_no_old_pods NAME SINCE: the API knows of no container there that was started before SINCE. Without this a pod
# would seem to have survived the power cut, until the kubelet has looked at it.
has_no_old_pods() {
    local started
    started=$(kubectl get pods --all-namespaces --field-selector "spec.nodeName=$1" \
        -o 'jsonpath={range .items[*].status.containerStatuses[*]}{.state.running.startedAt}{"\n"}{end}') || return
    awk -v since="$2" '$1 != "" && $1 < since {old = 1} END {exit old}' <<<"$started"
}

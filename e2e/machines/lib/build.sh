# The programs, from the Go module proxy, at the versions pinned in src/*/go.mod.

kubernetes_version=$(awk '$1 == "k8s.io/kubernetes" {print $2}' "$kit/src/kube/go.mod")

build_programs() {
    programs_are_built && return
    command -v go >/dev/null || die "go is not installed (1.25 or newer is needed)"
    mkdir -p "$bin"
    build kube . -ldflags "-s -w $(version_flags)"
    build coredns . -ldflags "-s -w"
    build helm helm.sh/helm/v3/cmd/helm -ldflags "-s -w $(helm_flags)"
    local program
    for program in etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do
        ln -sf kube "$bin/$program"
    done
    sources_key >"$bin/key"
}

# The programs of these sources need neither Go nor its caches once they are built.
programs_are_built() { [[ $(cat "$bin/key" 2>/dev/null) == "$(sources_key)" ]]; }

sources_key() { (cd "$kit" && cat lib/build.sh src/*/* | sha256sum); }

# build NAME PACKAGE FLAG...: Debugging information would cost a
# tenth of the time, and is not in the stripped programs anyway.
build() {
    local name=$1 package=$2; shift 2
    say "building $name"
    (cd "$kit/src/$name" && GOCACHE=$state/go-build CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly \
        nice go build -trimpath -buildvcs=false -gcflags=all=-dwarf=false "$@" -o "$bin/$name" "$package") || die "cannot build $name"
}

# Without these Kubernetes believes to be v0.0.0 and refuses to talk to itself.
version_flags() {
    local package minor=${kubernetes_version#v1.}
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        printf -- '-X %s.gitVersion=%s -X %s.gitMajor=1 -X %s.gitMinor=%s -X %s.gitTreeState=clean ' \
            $package "$kubernetes_version" $package $package "${minor%%.*}" $package
    done
}

# Without these helm takes every cluster that it does not ask for one of Kubernetes 1.20.
helm_flags() {
    local package=helm.sh/helm/v3/pkg/chartutil minor=${kubernetes_version#v1.}
    printf -- '-X %s.k8sVersionMajor=1 -X %s.k8sVersionMinor=%s' $package $package "${minor%%.*}"
}

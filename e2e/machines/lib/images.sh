# Images are docker-archives made from directories. Every image here stands on a base layer, a minimal Debian.

mkimage() { "$kit/images/mkimage.py" "$@"; }

# make_base SUITE: debootstrap, once.
make_base() {
    local suite=$1 directory=$images/$1 mirror script
    [[ -f $directory/base.tar ]] && return
    mirror=$(debian_mirror) || exit
    mkdir -p "$directory"
    rm -rf "$directory/base"
    say "making the base layer (debian $suite)"
    # All releases of Debian are installed alike; an older debootstrap may not know the name of a newer one.
    script=/usr/share/debootstrap/scripts/$suite
    [[ -e $script ]] || script=/usr/share/debootstrap/scripts/sid
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$directory/base" "$mirror" "$script" \
        >"$directory/base.log" 2>&1 || die "debootstrap failed, see $directory/base.log"
    rm -rf "$directory"/base/var/{cache/apt/*,lib/apt/lists/*,log/*} "$directory"/base/usr/share/{doc,man,locale}/*
    mkimage layer "$directory/base" "$directory/base.tar"
}

# The mirror that this machine itself uses.
debian_mirror() {
    local uri
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Component: main' | grep '/debian/*$' | head -1)
    [[ -n $uri ]] || die "apt's configuration names no Debian mirror"
    echo "$uri"
}

# The first process of every pod, in an image of its own.
make_pause() {
    [[ -f $images/pause.image.tar ]] && return
    mkdir -p "$images/pause"
    gcc -Os -static -s -o "$images/pause/pause" "$kit/images/pause.c" || die "cannot compile pause.c"
    mkimage layer "$images/pause" "$images/pause.tar"
    mkimage image "$images/pause.image.tar" "$image_domain/pause:1" '{"Entrypoint": ["/pause"]}' "$images/pause.tar"
}

# The Postgres of each release of Debian.
make_postgres_images() {
    local suite
    for suite in $debian_suites; do make_postgres "$suite"; done
}

# make_postgres SUITE: Debian's Postgres, installed in an overlay mount on the base; what the mount wrote is the image's
# second layer.
make_postgres() {
    local suite=$1 directory=$images/$1 layer=$images/$1/postgres
    [[ -f $directory/postgres.image.tar ]] && return
    make_base "$suite"
    say "making the postgres image (debian $suite)"
    rm -rf "$layer" && mkdir -p "$layer"/{upper,work,root}
    unshare --mount --propagation private bash -ec '
        mount -t overlay overlay -o "lowerdir=$1/base,upperdir=$2/upper,workdir=$2/work" "$2/root"
        mount -t proc proc "$2/root/proc"
        cp /etc/resolv.conf "$2/root/etc/"
        printf "#!/bin/sh\nexit 101\n" >"$2/root/usr/sbin/policy-rc.d"
        chmod +x "$2/root/usr/sbin/policy-rc.d"
        export DEBIAN_FRONTEND=noninteractive LC_ALL=C
        install() { chroot "$1" apt-get install -y --no-install-recommends "$2"; }
        chroot "$2/root" apt-get update
        install "$2/root" postgresql-common
        # No cluster of its own: the volume is to hold the data.
        echo "create_main_cluster = false" >>"$2/root/etc/postgresql-common/createcluster.conf"
        install "$2/root" postgresql
    ' - "$directory" "$layer" >"$directory/postgres.log" 2>&1 || die "cannot install postgres, see $directory/postgres.log"
    rm -rf "$layer"/upper/var/{cache/apt/*,lib/apt/lists/*,log/*} "$layer"/upper/usr/share/{doc,man,locale}/* \
        "$layer"/upper/{proc,etc/resolv.conf}
    mkimage layer "$layer/upper" "$directory/postgres.tar"
    mkimage image "$directory/postgres.image.tar" "$(postgres_image "$suite")" \
        "{\"Env\": [\"PATH=/usr/lib/postgresql/$(postgres_version "$suite")/bin:/usr/sbin:/usr/bin:/sbin:/bin\"], \"User\": \"$(postgres_ids "$suite")\"}" \
        "$directory/base.tar" "$directory/postgres.tar"
    say "$(postgres_image "$suite"), user and group $(postgres_ids "$suite")"
}

postgres_version() { basename "$images/$1"/postgres/upper/usr/lib/postgresql/*; }

postgres_image() { echo "$image_domain/postgres:$(postgres_version "$1")"; }

postgres_ids() { awk -F: '$1 == "postgres" {print $3 ":" $4}' "$images/$1/postgres/upper/etc/passwd"; }

# The names of the images that every k8s node has from its start. Each has two, so that a test can change from one
# to the other.
image_names() {
    local suite
    for suite in $debian_suites; do
        postgres_image "$suite"
        echo "$(postgres_image "$suite")-update"
    done
}

# make_binary_image OUT NAME:TAG UID ENTRYPOINT PATH...: the base with files below /usr/local/bin.
make_binary_image() {
    local out=$1 name=$2 uid=$3 entrypoint=$4 layer; shift 4
    local base=${debian_suites%% *}
    make_base "$base"
    layer=$(mktemp -d "$images/from-binary.XXXXXX")
    install -D -m 0755 -t "$layer/files/usr/local/bin" "$@" && chmod 755 "$layer/files" &&
        mkimage layer "$layer/files" "$layer/layer.tar" &&
        mkimage image "$out" "$name" "{\"Entrypoint\": [\"/usr/local/bin/$entrypoint\"], \"User\": \"$uid\"}" \
            "$images/$base/base.tar" "$layer/layer.tar"
    local result=$?
    rm -rf "$layer"
    return $result
}

# make_seed: a containerd directory that has every prebuilt image unpacked. The k8s nodes start with a copy of it
# by hard links (its files are never changed in place), which takes a second and no space.
make_seed() {
    local seed=$images/seed key suite archives=("$images/pause.image.tar")
    for suite in $debian_suites; do archives+=("$images/$suite/postgres.image.tar"); done
    key=$(stat --format '%n %s %Y' "${archives[@]}"; image_names)
    [[ $(cat "$seed/key" 2>/dev/null) == "$key" ]] && return
    say "unpacking the images once"
    rm -rf "$seed" && mkdir -p "$seed/containerd"
    unshare --mount --net --pid --fork --kill-child --propagation private bash -ec '
        mount -t proc proc /proc
        mount -t tmpfs tmpfs /run
        printf "version = 2\nroot = \"%s/containerd\"\nstate = \"/run/containerd\"\n" "$1" >/run/containerd.toml
        containerd --config /run/containerd.toml &
        for i in $(seq 100); do ctr version >/dev/null 2>&1 && break; sleep 0.1; done
        shift
        for tar; do ctr --namespace k8s.io images import "$tar"; done
        for name in $(ctr --namespace k8s.io images list --quiet | grep /postgres:); do
            ctr --namespace k8s.io images tag "$name" "$name-update"
        done
        kill -TERM $! && wait $!
    ' - "$seed" "${archives[@]}" >"$images/seed.log" 2>&1 || die "cannot unpack, see $images/seed.log"
    echo "$key" >"$seed/key"
}

# plant_seed DIRECTORY: gives a k8s node its containerd directory. Databases are copied, the rest is linked.
plant_seed() {
    local target=$1 database
    [[ -d $target ]] && return
    rm -rf "$target.new"
    cp -al "$images/seed/containerd" "$target.new"
    (cd "$target.new" && find . -name '*.db') | while read -r database; do
        cp --remove-destination "$images/seed/containerd/$database" "$target.new/$database"
    done
    mv "$target.new" "$target"
}

# To be sourced: a Docker daemon to talk to. The one that answers, or else one of our own in a directory of its own, which is
# stopped when the script ends. Where none can run, that is said, and the tests that need one say SKIPPED.

# Drivers in the order in which they are worth trying: the last copies what is below each layer, but runs anywhere.
docker_drivers=(overlay2 fuse-overlayfs vfs)

stop_docker() {
    [ -n "${dockerd_pid:-}" ] || return 0
    kill "$dockerd_pid" 2>/dev/null || true
    wait "$dockerd_pid" 2>/dev/null || true
    dockerd_pid=
    rm -rf "$docker_directory"
}

start_docker() {
    local driver
    if docker info >/dev/null 2>&1; then
        echo "docker: $(docker info --format '{{.ServerVersion}}, {{.Driver}}') is running"
        return
    fi
    if [ "$(id -u)" != 0 ] || ! command -v dockerd >/dev/null; then
        echo 'SKIPPED docker: no daemon answers, and none can be started without being root'
        return
    fi
    for driver in "${docker_drivers[@]}"; do
        docker_directory=$(mktemp -d /tmp/strata-docker-XXXXXX)
        # Containers of tests have no network: no bridge and no firewall rules are wanted. Registries at 127.0.0.0/8 may speak
        # plain http without being named. A configuration of the machine's own is not ours to follow.
        printf '{}' >"$docker_directory/daemon.json"
        dockerd --config-file "$docker_directory/daemon.json" --host "unix://$docker_directory/docker.sock" \
            --data-root "$docker_directory/data" --exec-root "$docker_directory/exec" \
            --pidfile "$docker_directory/pid" --storage-driver "$driver" \
            --bridge none --iptables=false --ip6tables=false >"$docker_directory/log" 2>&1 &
        dockerd_pid=$!
        for _ in $(seq 150); do
            if DOCKER_HOST=unix://$docker_directory/docker.sock docker info >/dev/null 2>&1; then
                export DOCKER_HOST=unix://$docker_directory/docker.sock
                echo "docker: $(docker info --format '{{.ServerVersion}}, {{.Driver}}') was started"
                return
            fi
            kill -0 "$dockerd_pid" 2>/dev/null || break
            sleep 0.2
        done
        tail -n 1 "$docker_directory/log"
        stop_docker
    done
    echo 'SKIPPED docker: no daemon answers, and none can be started here'
}

# What a careful person would script: pack on all cores, digest on the way, upload. No manifests, no metadata.
# Arguments: URL of the registry, repository, directory for one layer, prefixes.
set -euo pipefail
registry=$1 repository=$2 directory=$3
shift 3
for prefix; do
    digest=$(tar -C / -cf - "${prefix#/}" | pigz -6 | tee "$directory/layer" | sha256sum | cut -d ' ' -f 1)
    location=$(curl --silent --show-error --fail --request POST --dump-header - --output /dev/null \
        "$registry/v2/$repository/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl --silent --show-error --fail --output /dev/null --header 'Content-Type: application/octet-stream' \
        --upload-file "$directory/layer" "$location&digest=sha256:$digest"
done

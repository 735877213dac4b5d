#!/bin/bash
# usage: run.sh WAY SOURCE_DIR BINARY_DIR CC
# Builds and runs consumer.c against weir as a user would: WAY is find_package, add_subdirectory or
# pkg_config, the first and the last also as *_static.
set -eu
way=$1 source=$2 binary=$3 cc=$4
here=$source/tests/install
work=$binary/tests/install/$way
prefix=$work/prefix
rm -rf "$work"
mkdir -p "$work"
export CC=$cc PKG_CONFIG_PATH=$prefix/lib/pkgconfig

quietly() { # prints what a command said only when it fails
    "$@" >"$work/log" 2>&1 || { cat "$work/log"; echo "failed: $*"; exit 1; }
}

install_weir() {
    local tree=$binary
    if [[ $way == *_static ]]; then
        tree=$work/weir
        quietly cmake -G Ninja -S "$source" -B "$tree" -DBUILD_SHARED_LIBS=OFF \
            -DWEIR_BUILD_TESTS=OFF -DWEIR_BUILD_EXAMPLES=OFF -DWEIR_BUILD_TOOL=OFF \
            -DCMAKE_INSTALL_LIBDIR=lib
        quietly cmake --build "$tree"
    fi
    quietly cmake --install "$tree" --prefix "$prefix"
}

installed_components() {
    local component list=
    for component in testing config; do
        [ -e "$prefix/lib/pkgconfig/weir-$component.pc" ] && list="$list;$component"
    done
    echo "${list#;}"
}

build_with_cmake() {
    quietly cmake -G Ninja -S "$here/cmake" -B "$work/consumer" "$@"
    quietly cmake --build "$work/consumer"
    version=$("$work/consumer/consumer")
}

case $way in
find_package*)
    install_weir
    build_with_cmake "-DCMAKE_PREFIX_PATH=$prefix" "-DWEIR_COMPONENTS=$(installed_components)"
    # A component that does not exist is refused by name, not passed over.
    if cmake -G Ninja -S "$here/cmake" -B "$work/refused" "-DCMAKE_PREFIX_PATH=$prefix" \
        -DWEIR_COMPONENTS=no_such_component >"$work/log" 2>&1; then
        echo 'find_package accepted a component that does not exist'
        exit 1
    fi
    ;;
add_subdirectory)
    build_with_cmake "-DWEIR_SOURCE=$source"
    ;;
pkg_config*)
    install_weir
    static=
    [[ $way == *_static ]] && static=--static
    modules=weir
    for component in $(installed_components | tr ';' ' '); do
        modules="$modules weir-$component"
    done
    # shellcheck disable=SC2046,SC2086 # lists of words on purpose
    quietly "$cc" "$here/consumer.c" -o "$work/consumer" \
        $(pkg-config $static --cflags --libs $modules)
    version=$(LD_LIBRARY_PATH=$prefix/lib "$work/consumer")
    if [ "$version" != "$(pkg-config --modversion weir)" ]; then
        echo "weir_version() says $version, weir.pc says $(pkg-config --modversion weir)"
        exit 1
    fi
    ;;
esac
echo "$way: weir $version"
[ -n "$version" ]

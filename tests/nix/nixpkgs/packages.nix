{
  system,
  host ? system,
}:
let
  lib = import ./lib.nix;

  make =
    attributes:
    let
      plain = removeAttrs attributes [
        "env"
        "meta"
        "pname"
        "version"
      ];
      made = derivation (
        {
          inherit system;
          name = "${attributes.pname}-${attributes.version}${if host == system then "" else "-${host}"}";
          builder = "/bin/sh";
        }
        // plain
        // attributes.env or { }
      );
    in
    made
    // {
      inherit (attributes) pname version;
      meta = attributes.meta or { };
      overrideAttrs = change: make (attributes // change attributes);
    };

  call =
    file: arguments:
    let
      function = import file;
      known = builtins.intersectAttrs (builtins.functionArgs function) packages;
    in
    function (known // arguments)
    // {
      override = more: call file (arguments // more);
    };

  names = [
    "alsa-lib"
    "avahi"
    "bash-completion"
    "chromium"
    "cjson"
    "clang-tools"
    "cmocka"
    "cppcheck"
    "esbuild"
    "fish"
    "git"
    "glib"
    "inih"
    "iproute2"
    "lcm"
    "libcap"
    "libgpiod"
    "libmicrohttpd"
    "libsndfile"
    "libuv"
    "libwebsockets"
    "man-db"
    "mandoc"
    "nginx"
    "nix"
    "nodejs"
    "openssh"
    "openssl"
    "pkg-config"
    "python3"
    "qemu"
    "qrencode"
    "shellcheck"
    "spin"
    "strace"
    "sudo"
    "util-linux"
    "zsh"
  ];
  packages =
    builtins.listToAttrs (
      map (pname: {
        name = pname;
        value = make {
          inherit pname;
          version = "0";
          cmakeFlags = [ ];
        };
      }) names
    )
    // {
      inherit lib;
      buildPackages.stdenv.cc = make {
        pname = "cc";
        version = "0";
      };
      stdenv = {
        mkDerivation = make;
        hostPlatform.system = host;
      };
      callPackage = call;
      mkShell =
        { inputsFrom, packages, ... }@attributes:
        make (
          removeAttrs attributes [ "packages" ]
          // {
            pname = "shell";
            version = "0";
            nativeBuildInputs = packages;
          }
        );
      testers.runNixOSTest =
        { name, nodes, testScript }:
        make {
          pname = name;
          version = "0";
          inherit testScript;
          machines = builtins.attrNames nodes;
        };
      pkgsCross = {
        aarch64-multiplatform = import ./packages.nix {
          inherit system;
          host = "aarch64-linux";
        };
        armv7l-hf-multiplatform = import ./packages.nix {
          inherit system;
          host = "armv7l-linux";
        };
      };
    };
in
packages

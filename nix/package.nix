# Robot, relay, observer, libomni and the manual pages, for the CPU of the package set that this is called with.
{
  lib,
  stdenv,
  buildPackages,
  pkg-config,
  esbuild,
  alsa-lib,
  avahi,
  cjson,
  cmocka,
  inih,
  libcap,
  libgpiod,
  libmicrohttpd,
  libsndfile,
  libuv,
  libwebsockets,
  qrencode,
  uplot, # the tree of its release: dist/ and LICENSE
  withUnitTests ? false,
}:
let
  # In nixpkgs it comes without libuv. Built in, not as a plugin that would have to be found.
  libwebsockets-uv = libwebsockets.overrideAttrs (old: {
    cmakeFlags = old.cmakeFlags ++ [
      (lib.cmakeBool "LWS_WITH_LIBUV" true)
      (lib.cmakeBool "LWS_WITH_EVLIB_PLUGINS" false)
    ];
  });
  makefile = lib.splitString "\n" (builtins.readFile ../Makefile);
  version = lib.last (lib.splitString " " (lib.findFirst (lib.hasPrefix "VERSION ") "" makefile));
in
stdenv.mkDerivation {
  pname = "omniscient";
  inherit version;

  # What goes into the programs, so that a change of a document builds nothing anew.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../LICENSE
      ../Makefile
      ../completions
      ../docs/man
      ../examples
      ../observer
      ../relay
      ../robot
      ../scripts
      ../service
      ../shared
      ../tests/drivers
      ../tests/plugins
      ../tests/programs
      ../tests/unit
      ../web
    ];
  };

  strictDeps = true;
  enableParallelBuilding = true;
  # What makes the completions runs here, whatever CPU the programs are for.
  depsBuildBuild = [ buildPackages.stdenv.cc ];
  nativeBuildInputs = [
    pkg-config
    esbuild
  ];
  buildInputs = [
    alsa-lib
    avahi
    cjson
    inih
    libcap
    libgpiod
    libmicrohttpd
    libsndfile
    libuv
    libwebsockets-uv
    qrencode
  ];
  checkInputs = [ cmocka ];

  postPatch = ''
    patchShebangs scripts
  '';

  # Whose compiler it is, stdenv knows (CC, PKG_CONFIG): no ARCH, no sysroot, no npm. Two libraries are loaded by name.
  env.CPPFLAGS = toString [
    ''-DCLIPS_LIBRARY='"${lib.getLib libsndfile}/lib/libsndfile.so.1"' ''
    ''-DAVAHI_LIBRARY='"${lib.getLib avahi}/lib/libavahi-client.so.3"' ''
  ];
  makeFlags = [
    "PREFIX=$(out)"
    "HOSTCC=$(CC_FOR_BUILD)"
    "UPLOT=${uplot}"
    "ESBUILD=esbuild"
    "WERROR="
  ];
  buildFlags = [ "programs" ];

  doCheck = withUnitTests;
  checkPhase = ''
    runHook preCheck
    export UPLOT=${uplot} OMNI_BUILD=build/$(uname -m)
    make -j"$NIX_BUILD_CORES" "''${makeFlagsArray[@]}" $makeFlags units helpers
    for test in "$OMNI_BUILD"/tests/unit/*/*_test; do
      "$test"
    done
    runHook postCheck
  '';

  meta = {
    description = "See your robot live, in a browser, without the robot noticing";
    license = lib.licenses.mit;
    platforms = lib.platforms.linux;
    mainProgram = "omni-observer";
  };
}

# What tests and figures need beside the compiler and the libraries: scripts/deps has the same as packages of Debian.
# Not clang, which would be the shell's cc: without it scripts/test fuzz is skipped.
{
  mkShell,
  bash-completion,
  clang-tools,
  cppcheck,
  chromium,
  cmocka,
  fish,
  git,
  glib,
  iproute2,
  lcm,
  libcap,
  man-db,
  mandoc,
  nginx,
  nix,
  nodejs,
  openssh,
  openssl,
  python3,
  qemu,
  shellcheck,
  spin,
  strace,
  sudo,
  util-linux,
  zsh,
  uplot,
  omniscient,
}:
mkShell {
  inputsFrom = [ omniscient ];
  packages = [
    bash-completion
    clang-tools
    cppcheck
    chromium
    cmocka
    fish
    git
    glib
    iproute2
    lcm
    libcap
    man-db
    mandoc
    nginx
    nix
    nodejs
    openssh
    openssl
    python3
    qemu
    shellcheck
    spin
    strace
    sudo
    util-linux
    zsh
  ];
  # make takes these, and leaves npm out of the page.
  UPLOT = "${uplot}";
  ESBUILD = "esbuild";
  # Its flags are for packages, not for builds without optimisation.
  hardeningDisable = [ "fortify" ];
}

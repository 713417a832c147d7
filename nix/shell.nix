# What tests and figures need beside the compiler and the libraries: scripts/deps has the same as packages of Debian.
{
  mkShell,
  clang-tools,
  cppcheck,
  chromium,
  cmocka,
  git,
  glib,
  iproute2,
  lcm,
  libcap,
  nginx,
  nix,
  nodejs,
  openssh,
  openssl,
  qemu,
  shellcheck,
  spin,
  strace,
  sudo,
  uplot,
  omniscient,
}:
mkShell {
  inputsFrom = [ omniscient ];
  packages = [
    clang-tools
    cppcheck
    chromium
    cmocka
    git
    glib
    iproute2
    lcm
    libcap
    nginx
    nix
    nodejs
    openssh
    openssl
    qemu
    shellcheck
    spin
    strace
    sudo
  ];
  # make takes these, and leaves npm out of the page.
  UPLOT = "${uplot}";
  ESBUILD = "esbuild";
  # Its flags are for packages, not for builds without optimisation.
  hardeningDisable = [ "fortify" ];
}

# Stands in for nixpkgs where none is at hand: the names of packages and functions that the project's own .nix files
# use, and no more, so that each of those files is evaluated to its end. What a package is made of, nothing here knows:
# that takes the real one (OMNI_NIXPKGS, docs/nix.md). Every name here is one of nixos-25.11's.
{
  outputs = _: {
    lib = import ./lib.nix;
    legacyPackages = builtins.listToAttrs (
      map (system: {
        name = system;
        value = import ./packages.nix { inherit system; };
      }) [
        "x86_64-linux"
        "aarch64-linux"
      ]
    );
  };
}

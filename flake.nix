{
  description = "See your robot live, in a browser, without the robot noticing";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";
    # The release that web/package.json names; npm is not asked.
    uplot = {
      url = "github:leeoniya/uPlot/1.6.32";
      flake = false;
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      uplot,
    }:
    let
      inherit (nixpkgs) lib;
      forEachSystem =
        make:
        lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: make nixpkgs.legacyPackages.${system});
      build = pkgs: pkgs.callPackage ./nix/package.nix { inherit uplot; };
    in
    {
      packages = forEachSystem (pkgs: {
        default = build pkgs;
        aarch64 = build pkgs.pkgsCross.aarch64-multiplatform;
        armv7 = build pkgs.pkgsCross.armv7l-hf-multiplatform;
      });

      overlays.default = final: _: { omniscient = build final; };

      nixosModules.default =
        { pkgs, ... }:
        {
          imports = [ ./nix/module.nix ];
          services.omniscient.package = lib.mkDefault (build pkgs);
        };

      devShells = forEachSystem (pkgs: {
        default = pkgs.callPackage ./nix/shell.nix {
          inherit uplot;
          omniscient = build pkgs;
        };
      });

      checks = forEachSystem (pkgs: {
        inherit (self.packages.${pkgs.stdenv.hostPlatform.system}) default aarch64 armv7;
        unit = (build pkgs).override { withUnitTests = true; };
        module = pkgs.callPackage ./nix/check-module.nix { module = self.nixosModules.default; };
      });
    };
}

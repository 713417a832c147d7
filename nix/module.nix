# Robot, relay and observer as services of a NixOS machine; each starts, ends and crashes without the others.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkDefault mkEnableOption mkIf mkOption optional types;
  inherit (config.services.omniscient)
    observer
    package
    relay
    robot
    ;

  # What an option of the programs becomes on their command line.
  option = name: value: [
    "--${name}"
    (toString value)
  ];
  # What none of them may, but for what the relay says otherwise; as packaging/systemd has it (a test compares them).
  restricted = {
    CapabilityBoundingSet = mkDefault "";
    DevicePolicy = "closed";
    NoNewPrivileges = true;
    PrivateTmp = true;
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectProc = "invisible";
    ProtectSystem = "strict";
    RestrictNamespaces = true;
    RestrictSUIDSGID = true;
    SystemCallErrorNumber = "EPERM";
    UMask = mkDefault "0077";
  };
  service = user: watchdog: description: arguments: {
    inherit description;
    wantedBy = [ "multi-user.target" ];
    serviceConfig = restricted // {
      Type = "notify";
      NotifyAccess = "main";
      WatchdogSec = watchdog;
      User = user;
      ExecStart = lib.escapeShellArgs arguments;
      Restart = "on-failure";
      RestartSec = 1;
    };
  };
  # A user that is not the module's own is somebody else's to make.
  userOf =
    name:
    mkIf (name == "omni-robot" || name == "omni-relay" || name == "omni-observer") {
      users.${name} = {
        isSystemUser = true;
        group = name;
      };
      groups.${name} = { };
    };
  # A set of attributes becomes a file in the store.
  relayConfig =
    if types.path.check relay.config then
      relay.config
    else
      pkgs.writeText "relay.json" (builtins.toJSON relay.config);
  host = if lib.hasInfix ":" observer.address then "[${observer.address}]" else observer.address;
in
{
  options.services.omniscient = {
    package = mkOption {
      type = types.package;
      default = pkgs.omniscient;
      defaultText = lib.literalExpression "pkgs.omniscient";
      description = "The package that has omni-robot, omni-relay and omni-observer.";
    };

    robot = {
      enable = mkEnableOption "the robot's control loop (omni-robot)";
      user = mkOption {
        type = types.str;
        default = "omni-robot";
        description = "User that it runs as. The default one is made; another one must be there.";
      };
      name = mkOption {
        type = types.strMatching "[A-Za-z0-9_-][A-Za-z0-9._-]{0,46}";
        default = "robot";
        description = "Name of the source that observers see.";
      };
      board = mkOption {
        type = types.str;
        default = "sim";
        description = "The hardware; see omni-robot(1).";
      };
      tickHz = mkOption {
        type = types.ints.between 1 1000;
        default = 100;
        description = "Ticks of the control loop a second.";
      };
      realtime = mkOption {
        type = types.bool;
        default = false;
        description = "Real-time scheduling and locked memory.";
      };
      extraArgs = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "More options of omni-robot(1).";
      };
    };

    relay = {
      enable = mkEnableOption "the relay of events between processor cores (omni-relay)";
      user = mkOption {
        type = types.str;
        default = "omni-relay";
        description = "User that it runs as. The default one is made; another one must be there.";
      };
      interface = mkOption {
        type = types.strMatching "[^/ ]{1,15}";
        example = "rpmsg4000";
        description = "Network interface of the other core. It need not be there yet.";
      };
      config = mkOption {
        type = types.nullOr (types.either types.path (types.attrsOf types.anything));
        default = null;
        example = lib.literalExpression ''
          {
            directory = "/run/omni-relay";
            routes = [
              { when.file = "start"; "then".frame = "start_irq"; }
              { when.frame = "done_irq"; "then" = { file = "done"; text = "1"; }; }
            ];
          }
        '';
        description = "What leads to what; see omni-relay(1). Or a file that says it.";
      };
      udrvConfig = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/etc/udrv.json";
        description = "The predecessor's file, instead of config.";
      };
      name = mkOption {
        type = types.strMatching "[A-Za-z0-9_-][A-Za-z0-9._-]{0,46}";
        default = "relay";
        description = "Name of the source that observers see.";
      };
      extraArgs = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "More options of omni-relay(1).";
      };
    };

    observer = {
      enable = mkEnableOption "the dashboard (omni-observer)";
      user = mkOption {
        type = types.str;
        default = "omni-observer";
        description = "User that it runs as. The default one is made; another one must be there.";
      };
      address = mkOption {
        type = types.str;
        default = "127.0.0.1";
        example = "0.0.0.0";
        description = "Address to answer on. Where it is not loopback, visitors need the token.";
      };
      port = mkOption {
        type = types.port;
        default = 8080;
        description = "Port to answer on.";
      };
      openFirewall = mkOption {
        type = types.bool;
        default = false;
        description = "Whether others may reach that port.";
      };
      tokenFile = mkOption {
        type = types.str;
        default = "/var/lib/omniscient/token";
        description = "Where the token is kept, made on first use. Only the user can read it; not in the Nix store.";
      };
      allowHosts = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "robots.example" ];
        description = "Host names to answer to, beside the machine's own: a reverse proxy's.";
      };
      trust = mkOption {
        type = types.listOf types.str;
        default = optional robot.enable robot.user ++ optional relay.enable relay.user;
        defaultText = "the users of robot and relay, where they are enabled";
        description = "Users whose segments are believed, beside the observer's own and root.";
      };
      extraArgs = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "--history=16MiB" ];
        description = "More options of omni-observer(1).";
      };
    };
  };

  config = lib.mkMerge [
    (mkIf (robot.enable || relay.enable || observer.enable) { environment.systemPackages = [ package ]; })

    (mkIf robot.enable {
      users = userOf robot.user;
      systemd.services.omni-robot = lib.mkMerge [
        (service robot.user 2 "Robot control loop, publishing its status into shared memory" (
          [ "${package}/bin/omni-robot" ]
          ++ option "name" robot.name
          ++ option "board" robot.board
          ++ option "tick-hz" robot.tickHz
          ++ optional robot.realtime "--realtime"
          ++ robot.extraArgs
        ))
        {
          serviceConfig.DeviceAllow = [
            "char-gpiochip rw"
            "char-watchdog rw"
            "/dev/watchdog rw"
          ];
          serviceConfig.PrivateNetwork = true;
          serviceConfig.ProtectHome = "read-only";
          serviceConfig.RemoveIPC = false;
          serviceConfig.RestrictAddressFamilies = [ "AF_UNIX" ];
          serviceConfig.SystemCallFilter = [ "@system-service" ];
        }
        (mkIf robot.realtime {
          serviceConfig.LimitRTPRIO = 50;
          serviceConfig.LimitMEMLOCK = "infinity";
        })
      ];
    })

    (mkIf relay.enable {
      assertions = [
        {
          assertion = (relay.config == null) != (relay.udrvConfig == null);
          message = "services.omniscient.relay: say either config or udrvConfig, which tell what leads to what.";
        }
      ];
      users = userOf relay.user;
      systemd.services.omni-relay = lib.mkMerge [
        (service relay.user 10 "Events between processor cores: Ethernet frames on one side, files on the other" (
          [ "${package}/bin/omni-relay" ]
          ++ option "interface" relay.interface
          ++ lib.optionals (relay.config != null) (option "config" "${relayConfig}")
          ++ option "name" relay.name
          ++ relay.extraArgs
        ))
        (mkIf (relay.udrvConfig != null) { environment.UDRV_JSON_PATH = "${relay.udrvConfig}"; })
        {
          serviceConfig.AmbientCapabilities = "CAP_NET_RAW";
          serviceConfig.CapabilityBoundingSet = "CAP_NET_RAW";
          serviceConfig.LockPersonality = true;
          serviceConfig.MemoryDenyWriteExecute = true;
          serviceConfig.PrivateUsers = false;
          serviceConfig.ProcSubset = "pid";
          serviceConfig.ProtectHome = true;
          serviceConfig.ProtectKernelTunables = true;
          serviceConfig.RemoveIPC = false;
          serviceConfig.RestrictAddressFamilies = [
            "AF_PACKET"
            "AF_NETLINK"
            "AF_UNIX"
          ];
          serviceConfig.RestrictRealtime = true;
          serviceConfig.RuntimeDirectory = "omni-relay";
          serviceConfig.RuntimeDirectoryMode = "0775";
          serviceConfig.RuntimeDirectoryPreserve = true;
          serviceConfig.SystemCallArchitectures = "native";
          serviceConfig.SystemCallFilter = [
            "@system-service"
            "~@privileged @resources"
            "capset"
          ];
          serviceConfig.UMask = "0002";
        }
      ];
    })

    (mkIf observer.enable {
      users = userOf observer.user;
      networking.firewall.allowedTCPPorts = mkIf observer.openFirewall [ observer.port ];
      systemd.services.omni-observer = lib.mkMerge [
        (service observer.user 10 "Dashboard of what the robots of this machine publish" (
          [
            "${package}/bin/omni-observer"
            "serve"
          ]
          ++ option "listen" "${host}:${toString observer.port}"
          ++ option "token-file" observer.tokenFile
          ++ lib.concatMap (option "allow-host") observer.allowHosts
          ++ lib.concatMap (option "trust") observer.trust
          ++ observer.extraArgs
        ))
        {
          after = [ "network.target" ];
          serviceConfig.SupplementaryGroups = [ "audio" ];
          serviceConfig.DeviceAllow = [ "char-alsa rw" ];
          serviceConfig.LockPersonality = true;
          serviceConfig.MemoryDenyWriteExecute = true;
          serviceConfig.PrivateUsers = false;
          serviceConfig.ProtectHome = true;
          serviceConfig.ProtectKernelTunables = true;
          serviceConfig.ReadWritePaths = [ "-${dirOf observer.tokenFile}" ];
          serviceConfig.RemoveIPC = true;
          serviceConfig.RestrictAddressFamilies = [
            "AF_INET"
            "AF_INET6"
            "AF_UNIX"
            "AF_NETLINK"
          ];
          serviceConfig.RestrictRealtime = true;
          serviceConfig.SystemCallArchitectures = "native";
          serviceConfig.SystemCallFilter = [
            "@system-service"
            "~@privileged @resources"
            "sched_setscheduler"
          ];
          serviceConfig.StateDirectory = "omniscient";
          serviceConfig.StateDirectoryMode = "0700";
        }
      ];
    })
  ];
}

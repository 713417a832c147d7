# A virtual machine with all services: the dashboard shows robot and relay, and none needs the others.
{ testers, module }:
testers.runNixOSTest {
  name = "omniscient";
  nodes.machine = {
    imports = [ module ];
    services.omniscient.robot.enable = true;
    services.omniscient.robot.name = "rover";
    services.omniscient.relay.enable = true;
    services.omniscient.relay.interface = "rpmsg4000";
    services.omniscient.relay.config.directory = "/run/omni-relay";
    services.omniscient.relay.config.routes = [
      {
        when.file = "start";
        "then".frame = "start_irq";
      }
    ];
    services.omniscient.observer.enable = true;
    services.omniscient.observer.port = 8090;
  };
  testScript = ''
    status = "curl --fail --silent 'http://127.0.0.1:8090/api/status?source=rover'"
    machine.wait_for_unit("omni-robot.service")
    machine.wait_for_open_port(8090)
    machine.wait_until_succeeds(status)
    robot = machine.succeed("systemctl show --property MainPID omni-robot")
    machine.succeed("systemctl restart omni-observer")
    machine.wait_until_succeeds(status)
    assert machine.succeed("systemctl show --property MainPID omni-robot") == robot
    machine.wait_until_succeeds(status.replace("rover", "relay"))
    machine.succeed("systemctl stop omni-robot")
    machine.succeed(status)
  '';
}

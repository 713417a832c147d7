# A virtual machine with both services: the dashboard shows the robot, and neither needs the other.
{ testers, module }:
testers.runNixOSTest {
  name = "omniscient";
  nodes.machine = {
    imports = [ module ];
    services.omniscient.robot.enable = true;
    services.omniscient.robot.name = "rover";
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
    machine.succeed("systemctl stop omni-robot")
    machine.succeed(status)
  '';
}

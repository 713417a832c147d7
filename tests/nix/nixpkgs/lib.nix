let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatMap
    concatStringsSep
    elemAt
    filter
    foldl'
    head
    isAttrs
    isBool
    isInt
    isList
    isPath
    isString
    length
    mapAttrs
    match
    pathExists
    replaceStrings
    split
    stringLength
    substring
    ;

  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  update =
    left: right:
    left
    // mapAttrs (
      name: value:
      if isAttrs value && isAttrs (left.${name} or null) && !(value ? type) then update left.${name} value else value
    ) right;

  type = check: { inherit check; };
  types = {
    str = type isString;
    bool = type isBool;
    port = type (value: isInt value && value >= 0 && value < 65536);
    package = type (value: value ? outPath);
    strMatching = pattern: type (value: isString value && match pattern value != null);
    ints.between = low: high: type (value: isInt value && low <= value && value <= high);
    path = type (value: isPath value || isString value && hasPrefix "/" value);
    anything = type (_: true);
    listOf = element: type (value: isList value && all element.check value);
    attrsOf = element: type (value: isAttrs value && all element.check (attrValues value));
    either = one: other: type (value: one.check value || other.check value);
    nullOr = element: type (value: value == null || element.check value);
  };

  # What mkIf and mkMerge have left open.
  settle =
    value:
    if !isAttrs value || value ? type then
      value
    else if value ? merge then
      foldl' update { } (map settle value.merge)
    else if value ? condition then
      if value.condition then settle value.content else { }
    else
      mapAttrs (_: settle) value;

  # What has no default and is not set is not there, until somebody asks for it.
  known =
    options: set:
    removeAttrs options (filter (name: !(hasValue options.${name} (set.${name} or null))) (attrNames options));
  hasValue = option: set: set != null || option ? default || !(option ? option);

  # An option's value: what was set, else its default; of the type that it says.
  valueOf =
    path: option: set:
    if option ? option then
      let
        value = if set == null then option.default else set;
      in
      if option.type.check value then value else throw "${path}: not of its type"
    else
      let
        unknown = filter (name: !(option ? ${name})) (attrNames (if set == null then { } else set));
      in
      if unknown != [ ] then
        throw "${path}: no such option: ${head unknown}"
      else
        mapAttrs (name: inner: valueOf "${path}.${name}" inner (set.${name} or null)) (known option set);
in
{
  inherit hasPrefix concatMap head;
  last = list: elemAt list (length list - 1);
  findFirst = test: default: list: head (filter test list ++ [ default ]);
  splitString = separator: text: filter isString (split separator text);
  hasInfix = part: text: length (split part text) > 1;
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  getLib = package: package;
  genAttrs = names: make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
  cmakeBool = name: value: "-D${name}:BOOL=${if value then "TRUE" else "FALSE"}";
  escapeShellArgs = words: concatStringsSep " " (map (word: "'${replaceStrings [ "'" ] [ "'\\''" ] word}'") words);
  licenses.mit = "MIT";
  platforms.linux = "linux";
  literalExpression = text: text;

  # Names only files that are there.
  fileset = {
    unions = files: map (file: if pathExists file then toString file else throw "there is no ${toString file}") files;
    toSource =
      { root, fileset }:
      builtins.path {
        path = root;
        name = "source";
        filter = path: _: any (file: path == file || hasPrefix "${file}/" path || hasPrefix "${path}/" file) fileset;
      };
  };

  inherit types;
  mkOption = attributes: attributes // { option = true; };
  mkEnableOption = _: {
    option = true;
    type = types.bool;
    default = false;
  };
  mkIf = condition: content: { inherit condition content; };
  mkMerge = merge: { inherit merge; };
  mkDefault = value: value;

  # What a module makes of settings; { config, options } as nixpkgs' own has them. One module only, and no merging of
  # what two of them say.
  evalModules =
    { modules, specialArgs }:
    let
      lib = import ./lib.nix;
      module = (import (head modules)) ({ inherit config lib; } // specialArgs);
      config = valueOf "config" module.options (elemAt modules 1);
    in
    {
      config = settle module.config // config;
    };
}

defmodule Hello.MixProject do
  use Mix.Project

  def project do
    [
      app: :hello,
      version: "1.0.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      deps: deps(),
      releases: [hello: [include_executables_for: [:unix]]]
    ]
  end

  # :ssl is for distribution over TLS alone.
  def application do
    [mod: {Hello.Application, []}, extra_applications: [:logger, :ssl, :runtime_tools]]
  end

  # In a project of your own:
  #
  #     {:epmd_docker, git: "https://github.com/OWNER/epmd_docker", tag: "v0.1.0", manager: :rebar3}
  #
  # This example takes the working copy around it. The library has no application to start, and none
  # has to be listed: the VM calls its epmd module before any application is up.
  defp deps do
    [{:epmd_docker, path: "../..", manager: :rebar3}]
  end
end

defmodule Hello do
  @moduledoc "What the commands in the README ask for."

  @doc "This node, whom it sees, and who finds nodes for it."
  def who do
    peers = Node.list() |> Enum.sort() |> Enum.join(" ")
    "#{node()} sees [#{peers}] by #{:net_kernel.epmd_module()}"
  end
end

defmodule Hello.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    Supervisor.start_link([], strategy: :one_for_one, name: Hello.Supervisor)
  end
end

-- The device under test behind the ports that the bench drives. Connect yours in the architecture.
--
<<ports>>
-- Data that are not valid are the inverse of the last ones.
<<tables>>
library ieee;
use ieee.std_logic_1164.all;

entity device_adapter is
    port (
        clk, reset : in std_logic;
        in_valid : in std_logic;
        in_ready : out std_logic;
        in_data : in std_logic_vector(<<in_bits>> - 1 downto 0);
        in_clear, in_last : in std_logic;
        out_valid : out std_logic;
        out_ready : in std_logic;
        out_data : out std_logic_vector(<<out_bits>> - 1 downto 0);
        load_valid : in std_logic;
        load_lstm : in std_logic_vector(7 downto 0);
        load_select : in std_logic;
        load_address : in std_logic_vector(15 downto 0);
        load_data : in std_logic_vector(<<load_bits>> - 1 downto 0);
        trace_valid : out std_logic;
        trace_signal, trace_unit : out std_logic_vector(15 downto 0);
        trace_data : out std_logic_vector(63 downto 0)
    );
end entity;

architecture empty of device_adapter is
begin
    -- Put an instance of your device here and take these lines out.
    in_ready <= '0';
    out_valid <= '0';
    out_data <= (others => '0');
    trace_valid <= '0';
    trace_signal <= (others => '0');
    trace_unit <= (others => '0');
    trace_data <= (others => '0');
end architecture;

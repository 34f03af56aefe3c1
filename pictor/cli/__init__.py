"""The command `pictor`: parse, call `pictor.api`, print. Nothing below prints or exits."""

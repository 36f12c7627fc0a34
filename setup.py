"""Lists the packages of a wheel: those in bye_core/, and the folder assets/, installed as bye_core/assets."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["bye_core", "bye_core.*"]), "bye_core.assets"])

"""Errors of model and adapter folders that could harm this computer: nothing is loaded from such a folder."""

from __future__ import annotations

from bye_core.errors import ModelError


class UnsafeFile(ModelError):
    problem = "The file {name} in {path} is refused: {reason}"
    remedy = "Replace it with a regular file inside this folder, or download the model again."


class FileTooLarge(ModelError):
    problem = "The file {name} in {path} has {size:,} bytes; at most {limit:,} are accepted."
    remedy = "Download the file again; genuine files of this kind are smaller."


class PickledFile(ModelError):
    problem = "{path} names the pickled weights {name}, which can run code."
    remedy = "Keep safetensors files only: save the weights with save_pretrained, and remove {name} from the folder."


class WeightsElsewhere(ModelError):
    problem = "{file} in {path} names the weights {name}: {reason}"
    remedy = "Keep all weights as *.safetensors beside config.json, and name them without folders."


class SettingOutOfBounds(ModelError):
    problem = "{file} in {path} sets {field} to {value!r}; {expected}."
    remedy = "Use the file of the original model; genuine models stay within this bound."


class LeadsElsewhere(ModelError):
    problem = "{file} in {path} sets {field} to {value!r}, which makes libraries read from another place."
    remedy = "Remove this entry from {file}."


class QuantizedWeights(ModelError):
    problem = "The weights at {path} are quantised with {method}, which this tool does not load."
    remedy = (
        "Use the model without quantisation, or one that was quantised with bitsandbytes, gptq, awq, fp8 or "
        "compressed-tensors."
    )


class TooManyWeights(ModelError):
    problem = "config.json in {path} describes a model of {implied:,} numbers, but its files hold {stored:,}."
    remedy = "Use the config.json that belongs to these weights."


class CostlyModel(ModelError):
    problem = "The {part} of {path} was stopped: {reason}"
    remedy = "Use the {part} of the original model; genuine ones take a small part of these limits."

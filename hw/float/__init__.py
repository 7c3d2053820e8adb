"""Floating-point arithmetic: conversion, products, and every kind of sum."""
